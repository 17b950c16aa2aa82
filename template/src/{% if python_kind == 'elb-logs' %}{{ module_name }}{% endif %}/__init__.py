"""Ships load balancer access logs from S3 to Logstash."""

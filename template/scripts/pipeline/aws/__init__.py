"""AWS: sessions, and the Lambda function of a deploy."""

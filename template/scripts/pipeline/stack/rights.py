"""The rights that `env.*` needs in AWS: for its own calls, and for CloudFormation's in its name.

They are data: `env.create --print-policy` prints them, `environment/bootstrap.yaml` grants them,
and a test holds the calls to them. What a stack names itself begins with the stack's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .change_set import SERVICE

_LAMBDA = "arn:{partition}:lambda:{region}:{account}"
_FUNCTION = [f"{_LAMBDA}:function:{{name}}", f"{_LAMBDA}:function:{{name}}:*"]
_GROUP = "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{name}"
_ROLE = ["arn:{partition}:iam::{account}:role/{name}-*"]
_BUCKET = "arn:{partition}:s3:::{lower}-*"
_BY_CLOUDFORMATION = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
_OF_FUNCTION = {"ArnLike": {"lambda:FunctionArn": _FUNCTION}}
# A name in S3 says nothing of whose the bucket is.
_OF_ACCOUNT = {"StringEquals": {"aws:ResourceAccount": "{account}"}}
_BOUND = {"StringEquals": {"iam:PermissionsBoundary": "{boundary}"}}
# Another service's name may end like ours, and stacks from before there was a tag have none.
_OF_SERVICE = {"StringEqualsIfExists": {f"aws:ResourceTag/{SERVICE}": "{service}"}}
_NETWORK = "arn:{partition}:iam::aws:policy/service-role/AWSLambdaENIManagementAccess"

# A place: the ARNs, and the conditions that limit what is done there.
_PLACES: Mapping[str, tuple[list[str], Mapping[str, Any]]] = {
    "anywhere": (["*"], {}),
    "stack": (["arn:{partition}:cloudformation:{region}:{account}:stack/{name}/*"], _OF_SERVICE),
    "function": (_FUNCTION, _OF_SERVICE),
    # Lambda knows who may do that by the function alone.
    "mapping": (["*"], _OF_FUNCTION),
    "mapping's tags": ([f"{_LAMBDA}:event-source-mapping:*"], _OF_SERVICE),
    "log group": ([_GROUP, f"{_GROUP}:*"], _OF_SERVICE),
    "queue": (["arn:{partition}:sqs:{region}:{account}:{name}-*"], _OF_SERVICE),
    "alarm": (["arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}-*"], _OF_SERVICE),
    "bucket": ([_BUCKET], _OF_ACCOUNT),
    "objects": ([f"{_BUCKET}/*"], _OF_ACCOUNT),
    "rule": (["arn:{partition}:events:{region}:{account}:rule/{name}-*"], _OF_SERVICE),
    "deployments": (["arn:{partition}:s3:::{code}"], {"StringLike": {"s3:prefix": "{prefix}*"}}),
    "deployments' objects": (["arn:{partition}:s3:::{code}/{prefix}*"], {}),
    "role": (_ROLE, _OF_SERVICE),
    "role's rights": (_ROLE, {**_OF_SERVICE, **_BOUND}),
    "role's network": (
        _ROLE, {**_OF_SERVICE, **_BOUND, "ArnEquals": {"iam:PolicyARN": _NETWORK}}
    ),
    "role's service": (
        _ROLE, {**_OF_SERVICE, "StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    ),
}  # fmt: skip

# What this library calls itself, whatever is in the stack.
_OWN = {
    "anywhere": "cloudformation:DescribeStacks cloudformation:GetTemplateSummary "
    "cloudwatch:DescribeAlarms ec2:DescribeNetworkInterfaces lambda:ListEventSourceMappings "
    "logs:DescribeLogGroups s3:ListAllMyBuckets tag:GetResources",
    "stack": "cloudformation:ContinueUpdateRollback cloudformation:CreateChangeSet "
    "cloudformation:DeleteChangeSet cloudformation:DeleteStack cloudformation:DescribeChangeSet "
    "cloudformation:DescribeStackEvents cloudformation:ExecuteChangeSet "
    "cloudformation:GetTemplate cloudformation:ListStackResources cloudformation:TagResource "
    "cloudformation:UpdateTerminationProtection",
    "function": "lambda:GetFunction lambda:GetFunctionConfiguration lambda:GetPolicy "
    "lambda:TagResource lambda:UntagResource",
    "mapping": "lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
    "log group": "logs:DeleteLogGroup logs:FilterLogEvents",
    "deployments": "s3:ListBucketVersions",
    "deployments' objects": "s3:DeleteObject s3:DeleteObjectVersion",
    "queue": "sqs:GetQueueUrl",
    "role": "iam:GetRole",
}
# And where there is a resource of this type in it. Lambda looks itself at whether a role is passed.
_OWN_FOR = {
    "AWS::Events::Rule": {"rule": "events:DisableRule"},
    "AWS::Lambda::Function": {"role's service": "iam:PassRole"},
    "AWS::S3::Bucket": {
        "bucket": "s3:DeleteBucket s3:GetBucketNotification s3:ListBucketVersions "
        "s3:PutBucketNotification",
        "objects": "s3:DeleteObject s3:DeleteObjectVersion s3:PutObject",
    },
}
_ROLE_POLICIES = "iam:DeleteRolePolicy iam:PutRolePolicy"
# What CloudFormation does with the caller's rights, by the type of the resource.
_MADE: Mapping[str, Mapping[str, str]] = {
    "AWS::CloudWatch::Alarm": {
        "anywhere": "cloudwatch:DescribeAlarms",
        "alarm": "cloudwatch:DeleteAlarms cloudwatch:ListTagsForResource "
        "cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
    },
    "AWS::Events::Rule": {
        "rule": "events:DeleteRule events:DescribeRule events:DisableRule events:EnableRule "
        "events:ListTagsForResource events:ListTargetsByRule events:PutRule events:PutTargets "
        "events:RemoveTargets events:TagResource events:UntagResource"
    },
    "AWS::IAM::Policy": {"role": "iam:GetRolePolicy", "role's rights": _ROLE_POLICIES},
    "AWS::IAM::Role": {
        "role": "iam:DeleteRole iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies "
        "iam:ListRolePolicies iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole",
        "role's rights": f"iam:CreateRole {_ROLE_POLICIES} iam:PutRolePermissionsBoundary",
        "role's network": "iam:AttachRolePolicy iam:DetachRolePolicy",
    },
    "AWS::Lambda::Alias": {
        "function": "lambda:CreateAlias lambda:DeleteAlias lambda:GetAlias lambda:UpdateAlias"
    },
    "AWS::Lambda::EventInvokeConfig": {
        "function": "lambda:DeleteFunctionEventInvokeConfig lambda:GetFunctionEventInvokeConfig "
        "lambda:PutFunctionEventInvokeConfig lambda:UpdateFunctionEventInvokeConfig"
    },
    "AWS::Lambda::EventSourceMapping": {
        "mapping": "lambda:CreateEventSourceMapping lambda:DeleteEventSourceMapping "
        "lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping",
        "mapping's tags": "lambda:ListTags lambda:TagResource lambda:UntagResource",
    },
    "AWS::Lambda::Function": {
        # What Lambda looks at, in the caller's name, before it puts a function into a network.
        "anywhere": "ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
        "function": "lambda:CreateFunction lambda:DeleteFunction lambda:DeleteFunctionConcurrency "
        "lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:GetFunctionRecursionConfig "
        "lambda:GetRuntimeManagementConfig lambda:ListTags lambda:PutFunctionConcurrency "
        "lambda:TagResource lambda:UntagResource lambda:UpdateFunctionCode "
        "lambda:UpdateFunctionConfiguration",
    },
    "AWS::Lambda::Permission": {
        "function": "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission"
    },
    "AWS::Logs::LogGroup": {
        "anywhere": "logs:DescribeLogGroups",
        "log group": "logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy "
        "logs:DescribeIndexPolicies logs:GetDataProtectionPolicy logs:ListTagsForResource "
        "logs:PutRetentionPolicy logs:TagResource logs:UntagResource",
    },
    "AWS::S3::Bucket": {
        "bucket": "s3:CreateBucket s3:DeleteBucket s3:GetBucketNotification "
        "s3:GetBucketOwnershipControls s3:GetBucketPublicAccessBlock s3:GetBucketTagging "
        "s3:GetBucketVersioning s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration "
        "s3:ListBucket s3:PutBucketNotification s3:PutBucketOwnershipControls "
        "s3:PutBucketPublicAccessBlock s3:PutBucketTagging s3:PutBucketVersioning "
        "s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration"
    },
    "AWS::S3::BucketPolicy": {
        "bucket": "s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy"
    },
    "AWS::SQS::Queue": {
        "queue": "sqs:CreateQueue sqs:DeleteQueue sqs:GetQueueAttributes sqs:GetQueueUrl "
        "sqs:ListQueueTags sqs:SetQueueAttributes sqs:TagQueue sqs:UntagQueue"
    },
    "AWS::SQS::QueuePolicy": {"queue": "sqs:GetQueueAttributes sqs:SetQueueAttributes"},
}

KNOWN_TYPES = frozenset(_MADE)


@dataclass(frozen=True)
class Scope:
    """Where the rights hold: `*` stands for any region, account, and part of a stack's name.

    `service` is the package's id, which stacks are tagged with. `boundary` is the ARN of the policy
    that roles must be bounded by; "" asks for none. `code` is the bucket of deployments of which
    those below `prefix` go with an environment, "" where none do.
    """

    partition: str
    region: str
    account: str
    name: str
    service: str
    boundary: str = ""
    code: str = ""
    prefix: str = ""

    def fill(self, value: Any) -> Any:
        """Put this scope into a pattern, or into all those of a structure."""
        if isinstance(value, str):
            return value.format(lower=self.name.lower(), **vars(self))
        if isinstance(value, Mapping):
            return {key: self.fill(one) for key, one in value.items()}
        return [self.fill(one) for one in value]


def statements(types: Iterable[str], scope: Scope) -> list[dict[str, Any]]:
    """Return the statements of a policy for a stack with resources of these types."""
    kinds = sorted(set(types))
    found: list[dict[str, Any]] = []
    for condition, tables in (
        ({}, [_OWN, *(_OWN_FOR.get(kind, {}) for kind in kinds)]),
        (_BY_CLOUDFORMATION, [_MADE.get(kind, {}) for kind in kinds]),
    ):
        for place, (arns, limits) in _PLACES.items():
            actions = {one for table in tables for one in table.get(place, "").split()}
            if not actions or (place.startswith("deployments") and not scope.code):
                continue
            limited = scope.fill({**limits, **condition})
            # Without a boundary nothing is asked of it.
            limited = {operator: keys for operator, keys in limited.items() if all(keys.values())}
            places = scope.fill(arns)
            resource = places if len(places) > 1 else places[0]
            one = {"Effect": "Allow", "Action": sorted(actions), "Resource": resource}
            found.append({**one, **({"Condition": limited} if limited else {})})
    return found


def without_rights(types: Iterable[str]) -> list[str]:
    """Return the types of resources whose rights are not known here."""
    return sorted(set(types) - KNOWN_TYPES)

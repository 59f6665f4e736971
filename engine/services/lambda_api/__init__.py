"""The Lambda API: what `boto3.client("lambda")`, the AWS CLI and Terraform talk to."""

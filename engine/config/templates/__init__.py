"""AWS SAM and CloudFormation templates, read into our own configuration."""

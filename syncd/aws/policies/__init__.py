"""IAM policy documents that both sides need, as JSON, CloudFormation and Terraform."""

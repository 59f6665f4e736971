"""Events of log groups: subscription filters of CloudWatch Logs."""

"""What AWS clients talk to: emulations of services, which know no executor."""

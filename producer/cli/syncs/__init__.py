"""What commands that start or continue syncs share: start them, follow them, report them, and name the next step."""

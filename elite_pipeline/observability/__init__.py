"""Where failures and calls are reported."""

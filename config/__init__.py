"""What stands above all apps: settings, addresses, the admin site, the schedule, the processes."""

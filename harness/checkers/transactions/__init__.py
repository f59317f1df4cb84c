"""What transactions may see of each other: isolation by anomalies, long forks, money that moves."""

"""What a failover cost: times without service, writes lost, two regions that wrote at once."""

"""What the tests of link servers share: the servers, both ends of a link, and the recorded conversation."""

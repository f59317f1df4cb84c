"""One object, one order: linearizable objects, and sets, queues, counters and logs by rules of their own."""

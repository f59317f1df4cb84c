"""From what the user asked for to a plan whose parts are loaded and fit together; nothing is started."""

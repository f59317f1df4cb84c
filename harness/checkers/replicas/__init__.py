"""What copies of the data may answer: sessions, causality, staleness, and agreement once at rest."""

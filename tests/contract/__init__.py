"""What is true of every model, page and endpoint; a room that is missing fails by name."""

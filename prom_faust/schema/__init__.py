"""What a topic may carry: versions, compatibility, and the way from values to bytes and back."""

"""What several tests need: servers, databases, and the fixtures that hand them out."""

"""Benefits (待遇): what is granted to whom, and which payments a month brings."""

"""What a platform or an auditor can prove without the service: evidence, archives, heads."""

"""What customers have and pay for. Today: plans and the credits that they bring; payment providers come on top."""

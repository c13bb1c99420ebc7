"""What happened, told to whoever listens: durable live events. Takes addresses, knows no accounts."""

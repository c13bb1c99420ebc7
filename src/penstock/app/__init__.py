"""Everything put together: services from settings and a product file, the HTTP application, the server around it."""

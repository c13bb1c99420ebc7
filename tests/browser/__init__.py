"""The app as its users meet it: the real server, a real browser, real photographs."""

"""What the picture code does to photographs: restoration, corners, line art; quality and time."""

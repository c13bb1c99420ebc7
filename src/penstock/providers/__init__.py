"""Who does the work: one file per vendor behind one seam, and the route between them."""

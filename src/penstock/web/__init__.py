"""The pages: the built web app, and what a product's brand makes of it at run time: theme, manifest, icons."""

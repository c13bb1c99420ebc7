"""The command `penstock`: what people and scripts type; everything it does is done by the packages below."""

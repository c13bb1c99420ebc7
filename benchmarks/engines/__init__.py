"""The engines that race: Penstock's own and its peers, each a program that answers with one line of JSON."""

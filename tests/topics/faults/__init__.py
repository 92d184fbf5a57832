"""Many subscribers over mixed protocols, cut off at random from a server that is killed again and again."""

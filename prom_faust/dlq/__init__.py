"""Dead letters: the envelope (pure) and its publishing."""

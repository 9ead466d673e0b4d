"""Dead letters of projections."""

"""The kinds of drawings: dots, lines, heat maps, points."""

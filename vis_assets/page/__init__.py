"""The HTML page of a map: rendering, the browser libraries it needs, escaping, and a picture of it."""

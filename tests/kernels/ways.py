"""Ways to compute convolutions, forced in tests."""


class Always(dict):
    """Chooses the same way for all convolutions."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def get(self, key, default=None):
        return self.way

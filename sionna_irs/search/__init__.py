"""Architecture search: operations, cells, networks of cells, and the search itself."""

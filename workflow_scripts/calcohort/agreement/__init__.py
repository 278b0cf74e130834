"""How well automatic measurements agree with a reference: statistics, table, figures."""

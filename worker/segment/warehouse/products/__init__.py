"""The engines of warehouses, a module for each product, and what several of them have in common."""

"""Small local servers that speak the REST protocols of warehouses as their documentation describes them."""

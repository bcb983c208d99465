"""How close requests come to a rate limit without a 429, also on a slow or shared machine."""

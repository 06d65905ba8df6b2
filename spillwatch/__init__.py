"""Watches the wells of an aluminium casting table and says which one spills."""

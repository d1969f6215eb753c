"""The journal's schema through time; each version is one file in `versions`."""

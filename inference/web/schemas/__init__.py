"""The schemas of the API, by what they are about; api.py says which route has which."""

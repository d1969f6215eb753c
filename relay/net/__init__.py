"""What the way out needs, to Mixin and to webhooks: names, proxies, and whom TLS trusts."""

"""Sends events to endpoints: what is sent, whom to, and what comes of it."""

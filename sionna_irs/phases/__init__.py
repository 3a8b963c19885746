"""What surfaces are set to: policies, designs, and tuners that learn from observed channels."""

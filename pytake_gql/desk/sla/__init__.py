"""How soon conversations are answered and closed: clocks in opening hours, their deadlines and breaches."""

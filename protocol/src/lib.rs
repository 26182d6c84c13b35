//! What may be said to a Kirosu hub: requests, answers, events, errors and their JSON-lines form.

"""The contract as tests walk it: every service and every method, from the descriptors."""

from balance_service.calls.methods import Method, load_contract

SERVICES = [service for file in load_contract() for service in file.services_by_name.values()]
SERVICE_NAMES = [service.full_name for service in SERVICES]
METHODS = [Method(descriptor) for service in SERVICES for descriptor in service.methods]

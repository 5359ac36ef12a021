const LANGUAGES = new Map([['de', '/de/'], ['fr', '/fr/'], ['en', '/']]);

export async function handler(event) {
    const { request } = event.Records[0].cf;
    if (request.uri !== '/') return request;
    const header = request.headers['accept-language']?.map(({ value }) => value).join(',') ?? '';
    const wanted = header
        .split(',')
        .map((part) => {
            const [tag, ...parameters] = part.trim().split(';');
            const q = parameters.find((one) => one.trim().startsWith('q='));
            return { language: tag.slice(0, 2).toLowerCase(), q: q ? Number(q.trim().slice(2)) : 1 };
        })
        .sort((a, b) => b.q - a.q)
        .find(({ language, q }) => q > 0 && LANGUAGES.has(language));
    const target = LANGUAGES.get(wanted?.language ?? 'en');
    if (target === '/') return request;
    return {
        status: '302',
        statusDescription: 'Found',
        headers: { location: [{ key: 'Location', value: target }], vary: [{ key: 'Vary', value: 'Accept-Language' }] },
    };
}
